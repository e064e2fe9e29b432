"""What searches, readers and writers rest on: the bank and all that is made of it."""
