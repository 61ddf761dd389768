// Modules are numbered in order of use, not by where they lie, so that the same sources give the same bytes anywhere.
module.exports = { optimization: { moduleIds: 'natural', chunkIds: 'natural' } };
