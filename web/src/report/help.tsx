import { signal } from "@preact/signals";
import { Dialog } from "./parts";
import { words } from "./words";

export const helpShown = signal(false);

export function Help() {
  const w = words.value;
  const rows: [string[], string][] = [
    [["→", "j"], w.keys.next],
    [["←", "k"], w.keys.previous],
    [["Enter"], w.keys.open],
    [["Esc"], w.keys.close],
    [["o"], w.keys.overlay],
    [["+", "-", "0"], w.keys.zoom],
    [["Shift + ← ↑ → ↓"], w.keys.pan],
    [["/"], w.keys.search],
    [["1", "2", "3"], w.keys.views],
    [["?"], w.keys.help],
  ];
  return (
    <Dialog title={w.help} class="help" onClose={() => (helpShown.value = false)}>
      <table class="plain">
        <tbody>
          {rows.map(([keys, text]) => (
            <tr key={text}>
              <th scope="row">
                {keys.map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </th>
              <td>{text}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Dialog>
  );
}
