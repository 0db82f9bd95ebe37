"""What every room stands on: errors, units, commands, waiting, the session and its sweeping, the preflight."""
