"""Computing on chest films: images, learning, metrics. Knows no orchestrator and no tracker."""
