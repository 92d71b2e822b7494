/** Tells, now and at every change, whether the page is on screen: ImJoy may show the viewer alone, or in another tab. */
export function watchVisibility(element: Element, onChange: (visible: boolean) => void): void {
  new IntersectionObserver((entries) => {
    const last = entries.at(-1);
    if (last) onChange(last.isIntersecting);
  }).observe(element);
}
