"""What tasks may use, what they do use, and how Linux is asked to keep them to it."""
