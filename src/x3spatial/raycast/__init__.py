"""Ray casting against triangle meshes: first hits and occlusion, by Embree or numba."""
