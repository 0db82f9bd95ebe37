// A picture that the kernel draws: the trait `drawing` holds SVG, and each change replaces it.
function render({ model, el }) {
  el.classList.add("lab-picture");
  const show = () => {
    el.innerHTML = model.get("drawing");
    el.dataset.n = String(Number(el.dataset.n || 0) + 1);
  };
  show();
  model.on("change:drawing", show);
  return () => model.off("change:drawing", show);
}
export default { render };
