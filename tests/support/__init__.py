"""What several tests share: landscapes with known answers, workers without threads, helpers."""
