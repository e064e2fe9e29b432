"""Pictures of pages, as a chat or a paper shows them: a card's value, its letters, and how it is drawn."""
