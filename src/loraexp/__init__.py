"""loraexp: config-driven LoRA experiments on GPT-2 text classifiers."""
