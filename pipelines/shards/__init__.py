"""The last stages: selected documents, the tokenizer, packed rows."""
