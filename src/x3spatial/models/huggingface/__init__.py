"""Any image-text-to-text model of transformers: ``hf:FOLDER`` or ``hf:ORG/NAME``."""
