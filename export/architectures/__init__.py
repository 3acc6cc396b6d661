"""Graph bodies, one file per `model_type` of transformers, built op by op from the weights."""
