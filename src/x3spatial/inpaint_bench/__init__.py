"""``x3 inpaint-bench``: inpainting engines ranked on rooms whose emptied images are known exactly."""
