"""Building: plan, facts, frames, chains, pack. Everything here is started by `cotgen.build.run.build`."""
