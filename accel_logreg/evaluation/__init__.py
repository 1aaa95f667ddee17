"""What a trained model is worth: scores on data with labels, coefficients by size, and a page of both."""
