"""Where is the described sound? A square of microphones, without torch and without tsel.

python examples/locate_with_onnx.py model.onnx mix.wav 0.12 "a dog barking"
"""

import json
import sys

import numpy as np
import onnxruntime
import soundfile
from tokenizers import BertWordPieceTokenizer

path, audio, side, query = sys.argv[1:]
network = onnxruntime.InferenceSession(path)
encoder = onnxruntime.InferenceSession(path.replace(".onnx", ".text.onnx"))
words = BertWordPieceTokenizer(path.replace(".onnx", ".vocab.txt"), lowercase=True)
about = {key: json.loads(text) for key, text in network.get_modelmeta().custom_metadata_map.items()}

signal, rate = soundfile.read(audio, dtype="float32", always_2d=True)
if rate != about["sample_rate"]:
    sys.exit(f"{audio}: {rate} Hz instead of {about['sample_rate']}; resample it")
n_fft, hop = about["n_fft"], about["hop"]
padded = np.pad(signal.T, ((0, 0), (n_fft // 2, n_fft // 2)))
frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=1)[:, ::hop]
spectrum = np.fft.rfft(frames * np.hanning(n_fft + 1)[:-1])  # (C, T, F)
spectrum = np.pad(spectrum, ((0, 0), (0, -spectrum.shape[1] % about["frames"]), (0, 0)))

tokens = np.array([words.encode(query).ids])
(text,) = encoder.run(None, {"tokens": tokens, "mask": np.ones(tokens.shape, dtype=bool)})
power = (np.abs(spectrum) ** 2).mean(axis=0).astype(np.float32)
weights, presence, _ = network.run(None, {"power": power, "text": text})

azimuth = np.arange(-180, 180)
corners = float(side) / 2 * np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])  # as in square:SIDE
toward = np.stack([np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))], axis=1)
phase = spectrum / np.maximum(np.abs(spectrum), 1e-12)
hertz = np.fft.rfftfreq(n_fft, 1 / rate)
response = np.zeros(len(azimuth))
for one, other in zip(*np.triu_indices(4, k=1), strict=True):
    cross = (weights[0] * phase[one] * phase[other].conj()).sum(axis=0)  # (F,)
    early = toward @ (corners[other] - corners[one]) / 343.0  # of the other, seconds (A,)
    response += (np.exp(2j * np.pi * early[:, None] * hertz) @ cross).real
sys.stdout.write(f"{azimuth[response.argmax()]:+d} degrees, present: {presence[0]:.0%}\n")
