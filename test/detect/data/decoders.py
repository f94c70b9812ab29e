"""Reference decoders in NumPy, from the formulas that papers and exporters publish, on small seeded outputs: writes decoders.json."""
import base64, json
from pathlib import Path
import numpy as np
rng=np.random.default_rng(20)
def sig(x): return 1/(1+np.exp(-x))
def soft(x,axis): e=np.exp(x-x.max(axis,keepdims=True)); return e/e.sum(axis,keepdims=True)
def enc(a):
    a=np.asarray(a,np.float32); q=a*16
    small=(q==np.round(q)).all() and np.abs(q).max()<128
    return {"shape":list(a.shape),("sixteenths" if small else "floats"):base64.b64encode(q.astype(np.int8).tobytes() if small else a.astype('<f4').tobytes()).decode()}
def rnd(shape,scale=1.5): return (np.round(np.clip(rng.standard_normal(shape)*scale,-5,5)*16)/16).astype(np.float32)
cases=[]
def case(name,spec,inp,outs,boxes,scores,least):
    """boxes [N,4] corners in input pixels, scores [N,C]"""
    found=[]
    for n in range(len(boxes)):
        for c in range(scores.shape[1]):
            if scores[n,c]>least: found.append([int(c)]+[round(float(v),4) for v in (scores[n,c],*boxes[n])])
    assert 8<len(found)<400,(name,len(found))
    # none so near the limit that float32 decides
    assert np.abs(scores-least).min()>1e-6
    cases.append({"name":name,"spec":spec,"input":inp,"outputs":[enc(o) for o in outs],"score":least,"found":found})
def cxcywh(b): return np.stack([b[:,0]-b[:,2]/2,b[:,1]-b[:,3]/2,b[:,0]+b[:,2]/2,b[:,1]+b[:,3]/2],1)
H,W=40,64
def grid(s):
    h,w=-(-H//s),-(-W//s)
    y,x=np.meshgrid(np.arange(h),np.arange(w),indexing='ij')
    return h,w,x.reshape(-1).astype(np.float64),y.reshape(-1).astype(np.float64)
S=[8,16,32]
rows=lambda m: m[0].reshape(m.shape[1],-1).T.astype(np.float64)     # [1,C,h,w] -> [h*w,C]

# YOLOv8: Detect head of ultralytics: DFL over reg_max bins, dist2bbox from anchor points at +0.5, times stride
maps=[];B=[];P=[];boxmaps=[];clsmaps=[]
nc,reg=3,16
for s in S:
    h,w,x,y=grid(s); b=rnd((1,4*reg,h,w)); c=rnd((1,nc,h,w))-2.5; c=c.astype(np.float32)
    boxmaps.append(b);clsmaps.append(c);maps.append(np.concatenate([b,c],1))
    d=(soft(rows(b).reshape(-1,4,reg),2)*np.arange(reg)).sum(2)
    B.append(np.stack([(x+.5-d[:,0])*s,(y+.5-d[:,1])*s,(x+.5+d[:,2])*s,(y+.5+d[:,3])*s],1)); P.append(sig(rows(c)))
B=np.concatenate(B);P=np.concatenate(P)
c3=['a','b','c']
case('yolov8, a map per grid',{"kind":"yolov8","classes":c3},[1,3,H,W],maps,B,P,.3)
case('yolov8, boxes and classes apart, coarsest grid first, classes before boxes',{"kind":"yolov8","classes":c3},[1,3,H,W],[m for p in list(zip(clsmaps,boxmaps))[::-1] for m in p],B,P,.3)
case('yolov8, channels last',{"kind":"yolov8","classes":c3},[1,3,H,W],[m.transpose(0,2,3,1) for m in maps],B,P,.3)
xywh=np.stack([(B[:,0]+B[:,2])/2,(B[:,1]+B[:,3])/2,B[:,2]-B[:,0],B[:,3]-B[:,1]],1)
dec=np.concatenate([xywh,P],1).T[None].astype(np.float32)
case('yolov8, decoded',{"kind":"yolov8","classes":c3},[1,3,H,W],[dec],B,P,.3)
# YOLOX: demo_postprocess: (xy + grid) * stride, exp(wh) * stride
raw=[];r2=[];B=[];P=[]
for s in S:
    h,w,x,y=grid(s); m=rnd((1,5+nc,h,w)); raw.append(m); v=rows(m)
    B.append(cxcywh(np.stack([(v[:,0]+x)*s,(v[:,1]+y)*s,np.exp(v[:,2])*s,np.exp(v[:,3])*s],1)))
    P.append(sig(v[:,4:5])*sig(v[:,5:])); r2.append(np.concatenate([v[:,:4],sig(v[:,4:])],1))
B=np.concatenate(B);P=np.concatenate(P)
case('yolox, a map per grid',{"kind":"yolox","classes":c3},[1,3,H,W],raw,B,P,.4)
case('yolox, the heads apart',{"kind":"yolox","classes":c3},[1,3,H,W],[m[:,i:j] for i,j in((4,5),(0,4),(5,8)) for m in raw],B,P,.4)
case('yolox, a row per box',{"kind":"yolox","classes":c3},[1,3,H,W],[np.concatenate(r2)[None]],B,P,.4)
# NanoDet: Integral over 0..reg_max, distance2bbox from the middle (v1) or the corner (Plus) of the cell
for kind,off,SS in(('nanodet',.5,[8,16,32]),('nanodet-plus',0,[8,16,32,64])):
    cl=[];bx=[];fl=[];B=[];P=[]; n=8
    for s in SS:
        h,w,x,y=grid(s); c=(rnd((1,nc,h,w))-2.5).astype(np.float32); b=rnd((1,4*n,h,w)); cl.append(c);bx.append(b)
        d=(soft(rows(b).reshape(-1,4,n),2)*np.arange(n)).sum(2)*s
        B.append(np.stack([(x+off)*s-d[:,0],(y+off)*s-d[:,1],(x+off)*s+d[:,2],(y+off)*s+d[:,3]],1)); P.append(sig(rows(c)))
        fl.append(np.concatenate([sig(rows(c)),rows(b)],1))
    B=np.concatenate(B);P=np.concatenate(P)
    case(kind+', scores and boxes apart',{"kind":kind,"classes":c3},[1,3,H,W],[m for p in zip(cl,bx) for m in p],B,P,.3)
    case(kind+', a row per box',{"kind":kind,"classes":c3},[1,3,H,W],[np.concatenate(fl)[None]],B,P,.3)
# SSD: priors in centre form, variances 0.1 0.2 (ssd.pytorch decode); grids of 16, 32 in 40 x 64: the last cells reach beyond the border
A=[[10,10,24,16],[30,30,70,60]]; C=3
sc=[];of=[];B=[];P=[];fs=[];fo=[]
for s,a in zip([16,32],A):
    h,w,x,y=grid(s); k=len(a)//2
    c=rnd((1,k*C,h,w)); l=rnd((1,k*4,h,w)); sc.append(c);of.append(l)
    cr=c[0].transpose(1,2,0).reshape(-1,C).astype(np.float64); lr=l[0].transpose(1,2,0).reshape(-1,4).astype(np.float64)
    pri=np.array([[(i+.5)*s/W,(j+.5)*s/H,a[2*q]/W,a[2*q+1]/H] for j in range(h) for i in range(w) for q in range(k)]).clip(0,1)
    b=np.concatenate([pri[:,:2]+lr[:,:2]*.1*pri[:,2:],pri[:,2:]*np.exp(lr[:,2:]*.2)],1)
    p=soft(cr,1); fs.append(p); fo.append(lr); B.append(cxcywh(b)); P.append(p[:,1:])
B=np.concatenate(B);P=np.concatenate(P); px=B*np.array([W,H,W,H])
sp={"kind":"ssd","classes":['a','b']}
case('ssd, rows of offsets to priors',{**sp,"anchors":A,"strides":[16,32]},[1,3,H,W],[np.concatenate(fs)[None],np.concatenate(fo)[None]],px,P,.45)
case('ssd, heads',{**sp,"anchors":A,"strides":[16,32]},[1,3,H,W],[of[1],sc[0],of[0],sc[1]],px,P,.45)
case('ssd, corners',sp,[1,3,H,W],[B[None],np.concatenate(fs)[None]],px,P,.45)
# BlazeFace: blazepaz, _decode_boxes with scale 128 and anchors of size 1
anch=np.array([[(i+.5)/n,(j+.5)/n] for n,k in((16,2),(8,6)) for j in range(n) for i in range(n) for _ in range(k)])
r=rnd((1,896,16),10); z=rnd((1,896,1)); v=r[0].astype(np.float64)
b=cxcywh(np.stack([v[:,0]/128+anch[:,0],v[:,1]/128+anch[:,1],v[:,2]/128,v[:,3]/128],1))*128
case('blazeface',{"kind":"blazeface","classes":['face']},[1,3,128,128],[r,z],b,sig(np.clip(z[0].astype(np.float64),-100,100)),.9)
# FastestDet: test.py
h,w,x,y=grid(8); o=rnd((1,1,h,w)); g=rnd((1,4,h,w)); c=rnd((1,nc,h,w)); v=rows(g)
b=cxcywh(np.stack([(x+np.tanh(v[:,0]))/w,(y+np.tanh(v[:,1]))/h,sig(v[:,2]),sig(v[:,3])],1))*np.array([W,H,W,H])
p=sig(rows(o))**.6*soft(rows(c),1)**.4
case('fastestdet, as exported',{"kind":"fastestdet","classes":c3},[1,3,H,W],[np.concatenate([sig(o.astype(np.float64)),g,soft(c.astype(np.float64),1)],1)],b,p,.5)
case('fastestdet, heads apart',{"kind":"fastestdet","classes":c3},[1,3,H,W],[g,o,c],b,p,.5)
# YOLOv4: darknet, scale_x_y
m=rnd((1,2*8,5,8)); an=[12,16,40,28]; B=[];P=[]
y,x=np.meshgrid(np.arange(5),np.arange(8),indexing='ij'); x=x.reshape(-1); y=y.reshape(-1)
for a in range(2):
    v=rows(m[:,8*a:8*a+8]); q=1.2
    B.append(cxcywh(np.stack([(sig(v[:,0])*q-.5*(q-1)+x)*8,(sig(v[:,1])*q-.5*(q-1)+y)*8,np.exp(v[:,2])*an[2*a],np.exp(v[:,3])*an[2*a+1]],1)))
    P.append(sig(v[:,4:5])*sig(v[:,5:]))
case('yolov4',{"kind":"yolov4","classes":c3,"anchors":[an],"scaleXY":[q]},[1,3,H,W],[m],np.concatenate(B),np.concatenate(P),.4)
# YOLOv5: the output of its Detect layer
m=rnd((1,60,8)); m=np.concatenate([np.abs(m[...,:4])*20,sig(m[...,4:].astype(np.float64))],2).astype(np.float32)
case('yolov5, decoded',{"kind":"yolov5","classes":c3},[1,3,H,W],[m],cxcywh(m[0,:,:4].astype(np.float64)),m[0,:,4:5].astype(np.float64)*m[0,:,5:],.4)
open(Path(__file__).with_suffix('.json'),'w').write('[\n'+',\n'.join(json.dumps(c,separators=(',',':')) for c in cases)+'\n]\n')
for c in cases: print(c['name'],len(c['found']))
