"""What people see: views made of text, templates, charts and PDF rendering."""
