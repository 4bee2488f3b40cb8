"""Everything that is written down: engine, models, migrations, checkpoints, event log, journal."""
