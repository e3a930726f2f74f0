"""From a room and a camera to pixels, masks, depth and exact counterfactuals."""
