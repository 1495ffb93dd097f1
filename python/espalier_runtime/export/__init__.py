"""Takes an adapter away: native, which holds every kind; PEFT, which holds LoRA or (IA)^3; merged; ONNX."""
