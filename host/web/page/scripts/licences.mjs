// The licences of the packages in a bundle, as one text.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** The packages that the modules of a bundle are from, in order. */
function packagesOf(ids) {
  // Styles are no modules, and `vue` only passes its parts on.
  const names = new Set(['@tabler/core', 'vue'])
  for (const id of ids) {
    const path = id.replaceAll('\\', '/')
    const at = path.lastIndexOf('/node_modules/')
    if (at >= 0) {
      const [scope, name] = path.slice(at + '/node_modules/'.length).split('/')
      names.add(scope.startsWith('@') ? `${scope}/${name}` : scope)
    }
    // Helpers that the builder writes into the bundle are part of the builder.
    if (path.includes('vite/preload-helper')) names.add('vite')
    if (path.includes('rolldown/runtime')) names.add('rolldown')
    if (path.includes('plugin-vue:export-helper')) names.add('@vitejs/plugin-vue')
  }
  return [...names].sort()
}

/** Returns name, version, licence and the licence's text of each package. */
export function licencesOf(ids) {
  return packagesOf(ids)
    .map((name) => {
      const directory = join('node_modules', name)
      const { version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
      const file = readdirSync(directory)
        .filter((file) => /^licen[cs]e(\.(md|txt))?$/i.test(file))
        .sort()[0]
      if (!file || !existsSync(join(directory, file))) throw new Error(`${name} has no licence file`)
      const whole = readFileSync(join(directory, file), 'utf8').replaceAll('\r\n', '\n')
      // Vite lists what its own program holds after its licence. Only its helper is in the bundle.
      const text = (whole.split('\n# Licenses of bundled dependencies')[0] ?? whole).trim()
      return `${name} ${version}\n${license}\n\n${text}\n`
    })
    .join(`\n${'-'.repeat(72)}\n\n`)
}
