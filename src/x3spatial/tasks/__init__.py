"""What is asked and what is right. Pure: arrays, numbers and text in, values out."""
