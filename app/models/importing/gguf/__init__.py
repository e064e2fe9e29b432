"""Models in llama.cpp's form, one file with everything in it: looked at, and turned into a checkpoint's folder."""
