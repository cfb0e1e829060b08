"""The function that keeps readings: it takes messages in batches, and puts their numbers into the stack's store."""
