"""Pure maths: tensors in, tensors out. Knows no model library, file, request or setting."""
