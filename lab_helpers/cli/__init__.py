"""The ``lab`` command: one file a subcommand, each loaded when it is called."""
