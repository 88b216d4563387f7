// The licences of the packages in a bundle, as one text.
import { readFileSync, readdirSync } from 'node:fs'
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

function textIn(directory) {
  const file = readdirSync(directory)
    .filter((file) => /^licen[cs]e(\.(md|txt))?$/i.test(file))
    .sort()[0]
  if (!file) throw new Error(`${directory} has no licence file`)
  return readFileSync(join(directory, file), 'utf8').replaceAll('\r\n', '\n')
}

/** Tabler's package has no licence file: its styles name the owners, and its icons have the same licence. */
function ofTabler() {
  const styles = readFileSync(join('node_modules', '@tabler/core/dist/css/tabler.css'), 'utf8').slice(0, 1_000)
  const owners = [...styles.matchAll(/^ \* (Copyright .*)$/gm)].map((match) => match[1])
  const icons = textIn(join('node_modules', '@tabler/icons-vue'))
  const terms = icons.slice(icons.indexOf('Permission is hereby granted'))
  if (owners.length === 0 || !icons.startsWith('MIT License')) throw new Error('the licence of @tabler/core has changed')
  // Tabler's styles are made from Bootstrap's, which have the same licence.
  owners.push('Copyright 2011-2026 The Bootstrap Authors (parts that are from Bootstrap)')
  return `MIT License\n\n${owners.join('\n')}\n\n${terms}`
}

/** Returns name, version, licence and the licence's text of each package. */
export function licencesOf(ids) {
  return packagesOf(ids)
    .map((name) => {
      const directory = join('node_modules', name)
      const { version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
      const whole = name === '@tabler/core' ? ofTabler() : textIn(directory)
      // Vite lists what its own program holds after its licence. Only its helper is in the bundle.
      const text = (whole.split('\n# Licenses of bundled dependencies')[0] ?? whole).trim()
      return `${name} ${version}\n${license}\n\n${text}\n`
    })
    .join(`\n${'-'.repeat(72)}\n\n`)
}
