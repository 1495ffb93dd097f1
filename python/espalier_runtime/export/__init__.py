"""Takes an adapter away: native, which holds every kind; PEFT, which holds LoRA; merged; ONNX."""
