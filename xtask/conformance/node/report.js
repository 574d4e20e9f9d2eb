// How a Node suite reports its checks to `cargo xtask conformance`: see `check` and `run`.

const assert = require('node:assert')

const checks = []

/** Adds a check; it fails when `body` rejects. */
const check = (name, body) => checks.push({ name, body })

const say = (line) => process.stdout.write(`${line}\n`)

/** Runs every check in the order in which they were added. */
const run = async () => {
  const only = process.env.ONLY || ''
  for (const { name, body } of checks) {
    if (!name.includes(only)) continue
    say(`@begin ${name}`)
    try {
      await body()
      say('@ok')
    } catch (error) {
      say(error.stack || String(error))
      say(`@fail ${String(error).replaceAll('\n', ' ').slice(0, 400)}`)
    }
  }
  say('@done')
  process.exit(0)
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until `holds()` resolves to something true. */
const eventually = async (what, seconds, holds) => {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const value = await holds()
    if (value) return value
    assert(Date.now() < end, `${what} did not happen within ${seconds} s`)
    await sleep(50)
  }
}

module.exports = { assert, check, eventually, run, sleep }
