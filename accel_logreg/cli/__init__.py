"""The command line: ``main.py`` is the way in, and each command has a file."""
