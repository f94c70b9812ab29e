/**
 * Rows as aligned columns, two spaces apart, without trailing blanks; a newline between rows, none at the end.
 * @param align per column, `l` or `r`; columns beyond it stand left.
 */
export function table(rows: readonly (readonly string[])[], { align = '' }: { align?: string } = {}): string {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => (align[column] === 'r' ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
