"""Orders: the journal, submission, reconciliation, and what becomes of them."""
