"""What a person looks at: numbers, pictures and pages about a finished folder."""
