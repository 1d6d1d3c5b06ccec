/**
 * Policies for other systems: a served policy as ONNX graphs and as safetensors, each checked
 * against our own, with a model card beside them.
 */
package org.unifiedrl.export;
