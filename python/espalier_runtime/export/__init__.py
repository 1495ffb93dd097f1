"""Takes an adapter away: Espalier's own format, which holds every kind, and PEFT's, which holds LoRA."""
