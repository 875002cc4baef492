"""What every view keeps: safe ranges before it is drawn (guards), and what of it may stand after (certificate)."""
