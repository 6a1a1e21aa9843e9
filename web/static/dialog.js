// A dialog that is open while something is wanted: `wanted` is what it is about, an object of its own for each opening,
// or null. `close` is called when the reader closes it, and when another screen is gone to.
import { useEffect, useRef } from "preact/hooks";

export function useDialog(wanted, close) {
  const ref = useRef();
  const shown = useRef(null);
  useEffect(() => {
    if (wanted && !ref.current.open) ref.current.showModal();
    if (!wanted && ref.current.open) ref.current.close();
    if (wanted) shown.current = wanted;
  }, [wanted]);
  useEffect(() => () => close(), []);
  // The browser tells a moment later that a dialog was closed: by then the next one may be wanted, which must stay.
  const onClose = () => wanted && wanted === shown.current && !ref.current.open && close();
  return { ref, onClose };
}
