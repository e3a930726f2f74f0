// The theme's script puts the button that copies a code block into an unnamed landmark; a page has many.
const plain = () => {
  for (const nav of document.querySelectorAll("nav.md-code__nav:not([role])")) nav.setAttribute("role", "none");
};
new MutationObserver(plain).observe(document.body, { childList: true, subtree: true });
plain();
