"""The edge of the core: one module a stage of `dvc.yaml`, and what carries results to MLflow."""
