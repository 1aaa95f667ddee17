"""What is said of an X that stays on the device."""
