"""Contents of synthetic rooms: meshes, materials, furniture, props and their placement."""
