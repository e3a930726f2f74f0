"""What a synthetic room is made of: meshes, materials, furniture, props, and where they stand."""
