"""What is measured over many samples: how far questions give their answers away."""
