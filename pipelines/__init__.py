"""The shell: assets that read, call the billing core, and write; the command line."""
