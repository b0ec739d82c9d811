"""Networks: FCN8s and DeepLabV3+ on their backbones, and a user's own."""
