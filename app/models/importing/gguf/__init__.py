"""Models in llama.cpp's form, one file with everything in it: checked, and converted to a checkpoint's folder."""
