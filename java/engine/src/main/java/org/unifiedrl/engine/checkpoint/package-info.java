/**
 * Training states on disk that survive crashes: tensors as safetensors, state as JSON, a manifest
 * of SHA-256 checksums, and folders that appear in one step.
 */
package org.unifiedrl.engine.checkpoint;
