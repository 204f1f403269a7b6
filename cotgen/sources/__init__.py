"""The data sets that cotgen reads: one module each, one line here."""
