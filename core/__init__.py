"""What every room shares: types, settings, errors, events, telemetry."""
