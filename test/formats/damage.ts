/** Text with one thing wrong: cut off, a character replaced, taken out or doubled. The same pieces every time. */
export function* damaged(text: string, step: number): Generator<string> {
  const wrong = ['"', '%', '}', '(', '<', '0', '9', '-', ',', ' ', '\n', '#', 'x', '\\', 'é', '\0']
  for (let i = 0, n = 0; i < text.length; i += step, n++) {
    yield text.slice(0, i)
    yield text.slice(0, i) + wrong[n % wrong.length] + text.slice(i + 1)
    yield text.slice(0, i) + text.slice(i + 1)
    yield text.slice(0, i) + text.slice(i, i + 20) + text.slice(i)
  }
}
