"""The makers behind searches, readers and writers: the bank and all that is made of it."""
